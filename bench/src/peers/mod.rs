//! What others have written for the same purpose, driven as its authors would.
