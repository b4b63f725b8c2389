"""Logs that TensorBoard shows, written by tensorboardX: ``pip install "flambeau[tensorboard]"``."""

from flambeau.utils.tensorboard.files import FileWriter as FileWriter
from flambeau.utils.tensorboard.writer import SummaryWriter as SummaryWriter
