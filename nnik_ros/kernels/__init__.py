"""The arithmetic of a tick as loops over joints, tips and capsules, for `compiled`. The classes that own the state explain it.

Arrays are contiguous, of float64, int64 or bool; a vector of nan stands for "not given". Shapes are the caller's word: nothing
here checks them.
"""
