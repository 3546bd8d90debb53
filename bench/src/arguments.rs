//! What a program does with arguments that it cannot use.

use clap::error::ErrorKind;

/// The help if it was asked for; else clap's complaint in one line. Returns the exit status.
pub fn refuse_or_help(error: &clap::Error) -> u8 {
    if let ErrorKind::DisplayHelp | ErrorKind::DisplayVersion = error.kind() {
        // Whoever closes the output has read enough of it.
        let _ = error.print();
        return 0;
    }
    let text = error.render().to_string();
    let complaint: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    refuse(&format!("{}; --help lists what there is", complaint.join(" ").trim_start_matches("error: ")))
}

/// Says what was wrong, in one line. Returns the exit status.
pub fn refuse(message: &str) -> u8 {
    eprintln!("error: {message}");
    2
}
