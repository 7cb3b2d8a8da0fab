"""Everything about the package is in setup.cfg; this file only keeps an editable installation quiet."""

import warnings

from setuptools import setup

# Setuptools warns in every editable installation whose `package_dir` renames packages that a folder of the package's
# name in the working directory is imported instead. There is no such folder here. The second text is setuptools 65's.
warnings.filterwarnings("ignore", r"\s*(Editable installation|Please be careful with folders)")
setup()
