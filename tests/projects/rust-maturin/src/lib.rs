// the module
