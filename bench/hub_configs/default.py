"""JupyterHub with KubeSpawner as they come: only what no hub can do without."""

import common

c = globals()["get_config"]()
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.KubeSpawner.namespace = "students"
c.KubeSpawner.image = "localhost/coursehub/singleuser:1"
common.apply(c)
