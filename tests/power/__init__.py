"""What a power cut leaves on ext4, xfs and btrfs: copies of a disk image, taken and looked at."""
