//! The packages, images and networks that pods name, in memory.
