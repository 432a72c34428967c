#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_build
short_description: Build images and, where no registry answers, all that a cluster is made of
version_added: 0.1.0
author: The coursehub authors (@coursehub)
description:
  - Builds what is missing under O(cache_dir), where every artefact is kept by the hash of its inputs, and shows the
    steps and their times while they run.
  - Runs on the controller.
options:
  targets:
    description: The steps to build, with all that they need.
    type: list
    elements: str
    required: true
  cache_dir:
    description: The folder that keeps the artefacts.
    type: path
    required: true
  source:
    description: Whether bases are published images or the lab's own.
    type: str
    choices: [lab, registry]
    required: true
  engine:
    description: The container engine that builds the images.
    type: str
    choices: [docker, podman]
    required: true
attributes:
  check_mode:
    description: Tells what would be built.
    support: full
  diff_mode:
    description: Has nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Build the hub's image on Debian's packages
  coursehub.jupyterhub.lab_build:
    targets: [hub]
    cache_dir: ~/.cache/coursehub
    source: lab
    engine: podman
"""

RETURN = r"""
built:
  description: The steps that were built, or would be.
  type: list
  elements: str
  returned: success
  sample: ["hub"]
seconds:
  description: Seconds that each step took.
  type: dict
  returned: success
  sample: {"hub": 61.2}
artefacts:
  description: For each step the C(folder) of its files and, for an image, its reference as C(image).
  type: dict
  returned: success
  sample:
    hub:
      folder: /root/.cache/coursehub/artefacts/hub-0123456789abcdef
      image: localhost/coursehub/hub:0123456789abcdef
"""
