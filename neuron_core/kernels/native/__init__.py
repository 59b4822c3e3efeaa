"""The C++ that kernels are compiled from: headers, which `assembly.assemble` puts together."""
