"""The device type ``wgpu``: WebGPU through wgpu-native, with WGSL as a dialect of its own."""
