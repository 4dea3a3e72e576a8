"""What STARD asks a report of diagnostic accuracy to tell, and where this one tells it or a person has to.

The numbers are those of STARD 2015 (Bossuyt and others, BMJ 2015;351:h5527); "AI" marks what STARD-AI (Sounderajah and
others, Nature Medicine 2025) asks beyond it. The words are ours and short: the statements themselves say more.
"""

from __future__ import annotations

#: (item, what is asked, where: "#section" of the page, or what a person has to add)
ITEMS: tuple[tuple[str, str, str], ...] = (
    ("1–2", "Named as a study of diagnostic accuracy, with a structured summary", "the authors"),
    ("3–4", "Background, intended use and place of the AI in the pathway; aims and hypotheses", "the authors"),
    ("5", "Whether the data were collected before or after the AI was tried", "the authors; see column ai_visible"),
    ("6–9", "Who was eligible, how, where and when they were found, consecutive or not", "#flow, and the authors"),
    ("10a", "The AI in enough detail to repeat it: model, version, weights, preprocessing", "#used"),
    ("10b–11", "The reference standard and why it: outcome by register, length of follow-up", "the authors"),
    ("12a", "The AI's cut-offs, and whether they were fixed beforehand", "#ruling-out; the authors say when"),
    ("12b", "What counts as positive by the reference standard", "#how"),
    ("13", "Who knew of what: readers of the AI's result, the register of either", "the authors; column ai_visible"),
    ("14", "Methods by which accuracy was estimated and compared", "#how"),
    ("15–16", "Exams that could not be read, and missing outcomes", "#flow"),
    ("17", "Differences between groups, planned or explored", "#strata"),
    ("18", "Intended size of the sample and how it was found", "mammo-node plan, and the authors"),
    ("19", "Flow of the exams, as a diagram", "#flow"),
    ("20–21", "Who they were: age, density, kind and stage of the cancers", "the authors: the table has none of it"),
    ("22", "Time between the exam and the outcome", "the authors"),
    ("23", "AI against the reference standard, in counts", "#points"),
    ("24", "Accuracy with its precision", "#auc, #points, #ruling-out"),
    ("25", "Harm done by the AI or the reference standard", "the authors; each cancer ruled out: #missed"),
    ("26–27", "Limitations, what it means for practice", "#how, and the authors"),
    ("28–30", "Registration, protocol, funding", "the authors"),
    (
        "AI",
        "Where the data come from, how they were prepared and split, and which of them the AI was made with",
        "#used; the authors say that none of these women were in the training",
    ),
    ("AI", "How the AI was run: hardware, software, who operated it", "#used, and the authors"),
    ("AI", "How it does in groups that it may treat unfairly", "#strata; groups by age or origin: the authors"),
    ("AI", "Whether the model, the code and the data can be had", "#used, and the authors"),
)
