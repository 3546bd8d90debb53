//! What a server keeps on its disk.
