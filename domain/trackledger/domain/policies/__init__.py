"""Which conclusions follow from what was said? Pure functions: no clock, no I/O; time enters as an argument.

Every result names the rules that drew it and the keys of the checkpoints that they used. `RULES` of each module says
what each of its rules means, in one plain sentence. `RULES_VERSION` is changed whenever the same statements may give
another result of that module, be it by a change in the module itself or in `order` and `meaning`; a rule's name is
never given another meaning. Rules with a number in them, `NUMBERED`, besides carry the version of the numbers in force.
"""
