"""The core of designer: a design is a sequence of legal choices, learned by policy gradients.

Import what you need from the modules themselves (``from designer.rollout import rollout``);
importing this package loads nothing, so that ``designer --help`` stays quick.
"""

__version__ = "0.1.0"
