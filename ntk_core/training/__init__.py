"""Training of finite networks: gradient descent step by step, and by leaps."""

from ntk_core.training.state import State
from ntk_core.training.train import train

__all__ = ["State", "train"]
