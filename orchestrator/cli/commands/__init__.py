"""Commands of `tocsin`: one file per noun, in a folder per section of `tocsin --help`."""
