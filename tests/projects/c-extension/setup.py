from setuptools import Extension, setup

setup(ext_modules=[Extension("c_extension._answer", ["src/c_extension/_answer.c"])])
