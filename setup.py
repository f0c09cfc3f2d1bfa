"""The native piece, which needs a compiler and is left out where none is; all else: setup.cfg."""

from setuptools import Extension, setup

setup(ext_modules=[Extension("kubedns._batch", ["kubedns/_batch.c"], optional=True)])
