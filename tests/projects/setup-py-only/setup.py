from setuptools import setup

setup(name="setup-py-only", version="1.0", packages=["setup_py_only"])
