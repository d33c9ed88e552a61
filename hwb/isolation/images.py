"""How does an image get onto this machine, what is its identity, and which Pythons does it have?

Which official images there are is data (`hwb.matrix.known`); here one of them, or one of the user's own, becomes a
`LocalImage` whose id names its content.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwb.context import current
from hwb.errors import ConfigError, ContainerError, IsolationError, OfflineError
from hwb.isolation.lockdown import ContainerOptions, caller, identity, locked_down

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwb.isolation.engine import Engine
    from hwb.isolation.foreign import ForeignPython

__all__ = [
    "LocalImage",
    "build_image",
    "ensure_image",
    "official_images",
    "python_paths",
    "pythons_of",
    "select_image",
]

_OCI = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm/v7"}
"""Architectures that images spell in another way than Linux; the others agree."""
_REPOSITORY = "hwb-dockerfile"
DOCKERFILE_LABEL = "hwb.dockerfile"
_VERSIONS = re.compile(r"cp3(\d+)(t?)")


@dataclass(frozen=True, slots=True)
class LocalImage:
    """An image that is on this machine."""

    reference: str
    """What was asked for."""
    id: str
    """The digest of its content (`sha256:...`)."""
    arch: str
    """The processor it is for, as Linux names it."""
    variables: tuple[tuple[str, str], ...] = ()
    """What every command in it has in its environment."""

    @property
    def environ(self) -> dict[str, str]:
        """The same as a mapping: PATH and the like."""
        return dict(self.variables)

    @property
    def policy(self) -> str:
        """The platform tag its wheels are meant to have (its own AUDITWHEEL_PLAT); empty when it does not say."""
        return self.environ.get("AUDITWHEEL_PLAT", "")

    @property
    def launcher(self) -> tuple[str, ...]:
        """What its commands are started through: 32-bit images run on 64-bit kernels, and would see those."""
        return ("linux32",) if self.arch == "i686" else ()


# --------------------------------------------------------------------------------------------------- which one


def official_images() -> dict[str, str]:
    """The reference of every official image by policy and architecture, such as manylinux_2_28_x86_64."""
    from hwb.matrix import known
    from hwb.target import System

    arches = known.architectures(System.LINUX)
    return {
        f"{policy}_{arch}": known.image(policy, arch).reference for arch in arches for policy in known.policies(arch)
    }


def python_paths() -> dict[str, str]:
    """Where official images have their Pythons, by version ("3.12", "3.14t")."""
    from hwb.matrix import known
    from hwb.target import System

    found: dict[str, str] = {}
    for python in known.pythons(System.LINUX):
        match = _VERSIONS.fullmatch(python.python)
        if match is not None:
            tag = f"cp3{match[1]}"
            found[f"3.{match[1]}{match[2]}"] = f"/opt/python/{tag}-{python.python}/bin/python"
    return found


def select_image(family: str, policy: str, arch: str) -> str:
    """The reference of the official image; an empty `policy` ("2_28", "manylinux_2_28") means the usual one.

    Raises IsolationError that lists the keys there are. Warns of one that gets no updates any more.
    """
    from hwb.matrix import known
    from hwb.target import System, same_arch

    arch = same_arch(System.LINUX, arch)
    family = "manylinux" if family == "auto" else family
    table = official_images()
    wanted = _policy_name(family, policy)
    try:
        wanted = wanted or known.default_policy(family, arch)
        found = known.image(wanted, arch)
    except (ConfigError, KeyError):
        raise _no_image(f"{wanted or family}_{arch}", table) from None
    if found.reference not in table.values():  # the name of no policy: it would be pulled from anywhere
        raise _no_image(f"{wanted}_{arch}", table)
    if found.eol:
        text = f"the image {wanted}_{arch} gets no updates any more: use a newer policy"
        current().emit("message", level="warning", text=text)
    return found.reference


def _no_image(key: str, table: dict[str, str]) -> IsolationError:
    remedy = f"there are {', '.join(table)}; or name an image of your own"
    return IsolationError(f"there is no image {key}", remedy=remedy)


def _policy_name(family: str, policy: str) -> str:
    if not policy or policy.startswith(family):
        return policy
    return f"{family}{policy}" if policy.isdigit() else f"{family}_{policy}"


def oci_platform(arch: str) -> str:
    """The OCI name of Linux on that processor: linux/arm64."""
    return f"linux/{_OCI.get(arch, arch)}"


# ---------------------------------------------------------------------------------------------- on this machine


def ensure_image(engine: Engine, reference: str, *, platform: str = "") -> LocalImage:
    """The image of that reference (a name with tag or digest, or an id); pulled when it is not here.

    With a digest it is that content and nothing else. `platform` is an OCI platform such as linux/arm64: one that is
    here for another processor is pulled for that one. Raises ContainerError, OfflineError: offline nothing is pulled.
    """
    name = _without_tag(reference)
    found = _inspected(engine, reference, name)
    if found is not None and _is_for(found, platform):
        return found
    if current().offline:
        which = f"the image {reference}" + (f" for {platform}" if found is not None else "")
        raise OfflineError(f"{which} is not on this machine, and nothing is fetched offline")
    current().emit("message", level="info", text=f"fetching the image {reference}")
    chosen = [f"--platform={platform}"] if platform else []
    engine.call("pull", "--quiet", *chosen, name, what=f"fetching the image {reference}", timeout=None)
    found = _inspected(engine, reference, name)
    if found is None:
        raise ContainerError(f"the image {reference} was fetched and is not there", remedy="look at the engine's log")
    if not _is_for(found, platform):  # older engines take another one without a word
        what = f"the image {reference} is for {found.arch}, and its registry has none for {platform}"
        raise ContainerError(what, remedy="name an image for that processor, or an architecture that it has")
    return found


def _is_for(image: LocalImage, platform: str) -> bool:
    """Whether an image is for that OCI platform, as far as it says; 32-bit ones may call themselves x86_64."""
    _, _, processor = platform.partition("/")
    arch, _, variant = processor.partition("/")
    wanted = _linux_arch(arch, variant)
    return not platform or image.arch in ("", wanted) or {image.arch, wanted} == {"i686", "x86_64"}


def _without_tag(reference: str) -> str:
    """A reference with tag and digest means the digest; engines disagree about those with both."""
    name, at, digest = reference.partition("@")
    return re.sub(r":[\w.-]+$", "", name) + at + digest if at else reference


def _inspected(engine: Engine, reference: str, name: str) -> LocalImage | None:
    described = engine.asks("image", "inspect", "--format", "{{json .}}", name)
    if described is None:
        return None
    answer = json.loads(described)
    told: dict[str, Any] = answer[0] if isinstance(answer, list) else answer  # podman describes a list of one
    if told.get("Os") not in ("linux", ""):
        raise ContainerError(f"the image {reference} is for {told.get('Os')}", remedy="use a Linux image")
    variables = (text.partition("=") for text in (told.get("Config") or {}).get("Env") or ())
    identity_ = str(told["Id"])
    return LocalImage(
        reference,
        identity_ if ":" in identity_ else f"sha256:{identity_}",
        _linux_arch(str(told.get("Architecture") or ""), str(told.get("Variant") or "")),
        tuple((name, value) for name, _, value in variables),
    )


def _linux_arch(arch: str, variant: str) -> str:
    names = {oci: linux for linux, oci in _OCI.items()}
    return names.get(f"{arch}/{variant}") or names.get(arch) or ("armv7l" if arch == "arm" else arch)


def build_image(engine: Engine, dockerfile: str | os.PathLike[str], *, platform: str = "") -> LocalImage:
    """The image that a Dockerfile describes, built in its directory; the engine's own cache makes it quick again.

    Its tag is named by the file's content. Raises ContainerError with what the engine says, OfflineError when it was
    never built here.
    """
    from hwb.fs import sha256_file

    path = os.path.abspath(dockerfile)
    if not os.path.isfile(path):
        raise ConfigError(f"there is no Dockerfile {path}", where=path)
    digest = sha256_file(path)
    tag = f"{_REPOSITORY}:{digest[:20]}"
    if current().offline:
        return ensure_image(engine, tag)
    args = ["build", "--quiet", "--file", path, "--tag", tag, "--label", f"{DOCKERFILE_LABEL}={digest}"]
    if platform:
        args.append(f"--platform={platform}")
    current().emit("message", level="info", text=f"building the image of {path}")
    engine.call(*args, os.path.dirname(path), what=f"building the image of {path}", timeout=None)
    return ensure_image(engine, tag)


def available_images(engine: Engine) -> Iterator[str]:
    """The names of all images on this machine."""
    printed = engine.call("images", "--format", "{{.Repository}}:{{.Tag}}", what="listing images")
    return (line for line in printed.splitlines() if "<none>" not in line)


# ------------------------------------------------------------------------------------------------------- pythons


def pythons_of(engine: Engine, image: LocalImage) -> tuple[ForeignPython, ...]:
    """The Pythons of an image, each asked once for all time: an id names one content."""
    from hwb.isolation.foreign import as_record, from_record, probe
    from hwb.store import fingerprint, open_store

    store = open_store()
    record = ("images", f"{fingerprint(image.id, 'pythons/1')}.json")
    known = _recorded(store.read_json(*record), from_record)
    if known:
        return known
    with store.lock(f"pythons-{fingerprint(image.id)}"):  # sessions that begin together ask once
        known = _recorded(store.read_json(*record), from_record)
        if known:
            return known
        who = identity(engine, *caller())
        lockdown = locked_down(engine, ContainerOptions(), who, os.path.expanduser("~"))
        found = tuple(probe(engine, image.reference, image.id, lockdown, image.launcher))
        store.write_json(*record, value=[as_record(python) for python in found])
        return found


def _recorded(value: Any, read: Any) -> tuple[ForeignPython, ...]:
    rows = [read(row) for row in value] if isinstance(value, list) else []
    return () if None in rows else tuple(rows)
