"""Shared set-up: one thread, since small tensors on several make the suite five times slower."""

import torch

torch.set_num_threads(1)
