"""Where a run happens: in this process, on a ZeroGPU Space, or in the workers of a Ray cluster."""
