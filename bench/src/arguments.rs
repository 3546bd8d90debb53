//! Errors in a program's arguments.

use clap::error::ErrorKind;

/// Prints the help if it was requested, and otherwise clap's error in one line. Returns the exit status.
pub fn refuse_or_help(error: &clap::Error) -> u8 {
    if let ErrorKind::DisplayHelp | ErrorKind::DisplayVersion = error.kind() {
        // Fails if the reader has closed the output, which is no error.
        let _ = error.print();
        return 0;
    }
    let text = error.render().to_string();
    let complaint: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    refuse(&format!("{}; --help lists the arguments", complaint.join(" ").trim_start_matches("error: ")))
}

/// Prints an error in one line. Returns the exit status.
pub fn refuse(message: &str) -> u8 {
    eprintln!("error: {message}");
    2
}
