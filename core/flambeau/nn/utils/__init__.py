"""Utilities for parameters and gradients."""

from flambeau.nn.utils import rnn as rnn
