"""The version of xrbench, importable by every module without importing the package's public interface."""

__version__ = "0.1.0"
