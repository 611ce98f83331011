"""What a draft head takes in after a verification, laid out on the device."""
