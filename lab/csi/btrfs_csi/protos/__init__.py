"""The interface definitions of CSI 1.12 and of the kubelet's plugin registration, as published."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import grpc

# The definitions are compiled when they are imported: no generated code is kept. protoc looks for
# them along the module path.
sys.path.append(str(Path(__file__).parent))

csi: Any
csi_services: Any
registration: Any
registration_services: Any
csi, csi_services = grpc.protos_and_services("csi.proto")
registration, registration_services = grpc.protos_and_services("pluginregistration.proto")
