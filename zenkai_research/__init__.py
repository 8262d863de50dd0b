"""Judge whole photo collections: scores you can trace, explain and reproduce.

The names below are imported when first used, so that `import zenkai_research` stays light.
"""

__version__ = "0.1.0"

_LAZY = {
    "open_library": "zenkai_research.scoring.library",
    "get_scorer": "zenkai_research.core.registry",
    "scorers": "zenkai_research.core.registry",
    "scorer": "zenkai_research.core.registry",
    "read_image": "zenkai_research.images.decode",
    "measure": "zenkai_research.scoring.examine",
    "map_of": "zenkai_research.scoring.examine",
    "parse": "zenkai_research.filters.parsing",
    "select": "zenkai_research.filters.selection",
    "diagnose": "zenkai_research.filters.technical",
    "learn": "zenkai_research.filters.learning",
    "scan": "zenkai_research.filters.scan",
    "evaluate": "zenkai_research.analysis.evaluation",
    "read_labels": "zenkai_research.analysis.evaluation",
}
__all__ = [*_LAZY]


def __getattr__(name):
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return [*globals(), *_LAZY]
