"""The native piece, which needs a compiler and is left out where none is; all else: setup.cfg."""

from setuptools import Extension, setup

_SOURCES = ["kubedns/_batch.c", "kubedns/_ring.c"]

setup(
    ext_modules=[
        Extension("kubedns._batch", _SOURCES, depends=["kubedns/_ring.h"], optional=True),
    ]
)
