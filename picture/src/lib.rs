//! A history in, one HTML file out.
