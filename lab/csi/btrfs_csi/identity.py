"""CSI's identity service and the driver's registration with the kubelet."""

from __future__ import annotations

from typing import Any

import grpc

from . import DRIVER
from .pool import Pool, PoolError
from .protos import csi, csi_services, registration, registration_services

VERSION = "1.0.0"


class Identity(csi_services.IdentityServicer):
    """Who we are and whether the pool is there."""

    def __init__(self, pool: Pool, with_controller: bool) -> None:
        self._pool = pool
        self._with_controller = with_controller

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return csi.GetPluginInfoResponse(name=DRIVER, vendor_version=VERSION)

    def GetPluginCapabilities(self, request: Any, context: grpc.ServicerContext) -> Any:
        if not self._with_controller:
            return csi.GetPluginCapabilitiesResponse()
        service = csi.PluginCapability.Service(type=csi.PluginCapability.Service.CONTROLLER_SERVICE)
        online = csi.PluginCapability.VolumeExpansion(type=csi.PluginCapability.VolumeExpansion.ONLINE)
        return csi.GetPluginCapabilitiesResponse(
            capabilities=[csi.PluginCapability(service=service), csi.PluginCapability(volume_expansion=online)]
        )

    def Probe(self, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            self._pool.check()
        except PoolError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        response = csi.ProbeResponse()
        response.ready.value = True
        return response


class Registration(registration_services.RegistrationServicer):
    """Answers the kubelet's plugin watcher, so that no node-driver-registrar is needed."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    def GetInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return registration.PluginInfo(
            type="CSIPlugin", name=DRIVER, endpoint=self._endpoint, supported_versions=["1.0.0"]
        )

    def NotifyRegistrationStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
        outcome = "registered" if request.plugin_registered else f"not registered: {request.error}"
        print(f"kubelet: {outcome}", flush=True)
        return registration.RegistrationStatusResponse()
