"""What works on students' files inside the cluster: one command a run, in a pod that has the disks mounted."""
