"""The parts of benchmarks.gpu_engine. What needs a GPU is handed in, so that tests run every line without one."""
