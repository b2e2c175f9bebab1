"""All that a face may call: judge pictures, judge streams of frames, watch cameras."""
