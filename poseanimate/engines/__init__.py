"""Where a run happens: in this process, or on a ZeroGPU Space."""
