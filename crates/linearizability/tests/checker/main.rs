//! Tests of the checker and of the parsers. They are one program, because each program compiles and links the checker's
//! generic code again.

mod brute_force;
mod files;
mod hard;
mod parse;
mod synthetic;
mod verdicts;
