raise OSError("libbad.so.1: cannot open shared object file")
