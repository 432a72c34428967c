"""A CSI driver for one machine: a disk is a btrfs subvolume with a quota, in a pool that all nodes mount."""

DRIVER = "btrfs.csi.coursehub"
