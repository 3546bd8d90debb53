//! Whether a recorded history could have happened one operation at a time.
