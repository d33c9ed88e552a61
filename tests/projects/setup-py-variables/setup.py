import varpkg
from setuptools import Extension, find_packages, setup

raise SystemExit("an analysis must not run this")

NAME = "setup-py-variables"
BASE = ["click>=8"]
changed = ["a"]
changed.append("b")
setup(
    name=NAME,
    version=varpkg.__version__,
    description=f"about {NAME}",
    packages=find_packages(where="."),
    install_requires=BASE + ["rich"],
    tests_require=changed,
    extras_require={"x": BASE},
    entry_points={"console_scripts": ["var = varpkg:main"]},
    use_2to3=True,
    dependency_links=["https://example.invalid/x"],
    ext_modules=[Extension("varpkg._x", ["varpkg/x.c"])],
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
