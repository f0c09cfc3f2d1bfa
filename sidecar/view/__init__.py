"""
What the status page shows: State and the time in, values with texts and marks out; no HTML.

told        what a neighbour told, of whatever shape    words       times, ages, numbers as texts
mark        good, doubtful, bad, unknown                charts      samples -> lines of a drawing

processes   who answers                 sources     what kubedns knows of the cluster
settings    the configuration in force  routes      who is asked for what, bad ones first
cache       entries and hit rate        load        questions in work, limits, faults counted
warnings    the last ones of all        reading     how fresh something is
whole       all of it

For operators alone:
seen        top lists, findings, recorder           box         the form that asks why
explained   the verdict on a name, and the walks    question    one question of a walk
outcome     what was answered, in a few words
"""
