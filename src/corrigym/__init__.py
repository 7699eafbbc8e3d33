"""corrigym: given the means, does a model try to block its own retraining?

Importing this package is cheap and does nothing; `import corrigym.envs` registers the Gymnasium environments.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("corrigym")
except PackageNotFoundError:  # a source tree on the path, not installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
