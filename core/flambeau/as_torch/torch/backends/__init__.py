"""``torch.backends``: switches of libraries that PyTorch uses and flambeau mostly does not."""
