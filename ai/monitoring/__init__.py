"""Whether a stratum's exams still look like those its reference window was learnt from.

Everything is looked at on the window's own percentile scale, where a population that has not changed is spread evenly
whatever the scores' distribution was. So no chart knows a vendor, and none has to be tuned to one.

    cusum     control limits: how long a cumulative sum runs until it passes a limit by chance
    design    the charts of one reference window: what each adds up, and its limit
    watch     the charts' state, exam by exam; many streams at once
    stream    one stratum as it comes, with the share of exams that are not read; can be kept and gone on with
    report    what a person looks at: shares, KS, PSI and alarms of a table against its reference
"""
