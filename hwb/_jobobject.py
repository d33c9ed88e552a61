"""How does Windows end a process tree, also when hwb itself is killed? With a Job Object that dies with hwb."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import ctypes
    import subprocess
    from ctypes import wintypes

    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _KILL_ON_JOB_CLOSE = 0x2000
    _EXTENDED_LIMIT = 9
    _QUERY_LIMITED = 0x1000
    _STILL_ACTIVE = 259
    _job: int | None = None

    class _Limits(ctypes.Structure):
        _fields_ = (  # JOBOBJECT_EXTENDED_LIMIT_INFORMATION, winnt.h
            ("PerProcessUserTimeLimit", ctypes.c_int64),
            ("PerJobUserTimeLimit", ctypes.c_int64),
            ("LimitFlags", wintypes.DWORD),
            ("MinimumWorkingSetSize", ctypes.c_size_t),
            ("MaximumWorkingSetSize", ctypes.c_size_t),
            ("ActiveProcessLimit", wintypes.DWORD),
            ("Affinity", ctypes.c_size_t),
            ("PriorityClass", wintypes.DWORD),
            ("SchedulingClass", wintypes.DWORD),
            ("IoInfo", ctypes.c_uint64 * 6),
            ("ProcessMemoryLimit", ctypes.c_size_t),
            ("JobMemoryLimit", ctypes.c_size_t),
            ("PeakProcessMemoryUsed", ctypes.c_size_t),
            ("PeakJobMemoryUsed", ctypes.c_size_t),
        )

    def _own_job() -> int:
        global _job
        if _job is None:
            _job = _kernel.CreateJobObjectW(None, None)
            limits = _Limits(LimitFlags=_KILL_ON_JOB_CLOSE)
            _kernel.SetInformationJobObject(_job, _EXTENDED_LIMIT, ctypes.byref(limits), ctypes.sizeof(limits))
        return _job

    def assign(handle: int) -> None:
        """Put a process into the job; its children follow."""
        _kernel.AssignProcessToJobObject(_own_job(), handle)

    def alive(pid: int) -> bool:
        """Whether the process still runs."""
        handle = _kernel.OpenProcess(_QUERY_LIMITED, False, pid)
        if not handle:
            return False
        code = wintypes.DWORD()
        _kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        _kernel.CloseHandle(handle)
        return code.value == _STILL_ACTIVE

    def terminate_tree(pid: int) -> bool:
        """End a process and its descendants."""
        done = subprocess.run(["taskkill", "/F", "/T", "/PID", str(pid)], capture_output=True, check=False)
        return done.returncode == 0
