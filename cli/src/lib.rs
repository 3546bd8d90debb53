//! The command line of the lab, generic over the implementation under test.
