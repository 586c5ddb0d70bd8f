"""Thirty questions to two manuals from Debian with the page that answers each, and some that no page answers.

Pages are counted from the first page of the file, as in the page field of a PDF viewer. The questions were written from
the manuals before any search had been run on them; the search was then tuned with them.
"""

from pathlib import Path

from tests.documents.question_set import QuestionSet

MIME = "shared-mime-info-spec.pdf"
ASN1 = "libtasn1.pdf"

TUNED = QuestionSet(
    name="tuned",
    packages="libtasn1-doc and shared-mime-info",
    manuals={
        MIME: Path("/usr/share/doc/shared-mime-info", MIME),
        ASN1: Path("/usr/share/doc/libtasn1-doc", ASN1),
    },
    answered=(
        (MIME, 1, "Which three desktop projects' MIME database systems does the specification attempt to unify?"),
        (MIME, 1, "When was version 0.21 of the specification last updated?"),
        (MIME, 3, "Which command must an application run after installing or modifying its XML file?"),
        (MIME, 3, "Which file takes precedence over all other files in the same packages directory?"),
        (MIME, 4, "What is the default weight of a glob element, and what is the maximum?"),
        (MIME, 4, "Why do glob patterns replace the regular expression fields of GNOME and ROX?"),
        (MIME, 5, "Which alias does audio/midi have?"),
        (MIME, 5, "What are acronym elements and expanded acronym elements for?"),
        (MIME, 6, "What happens to unknown elements that applications define in their own namespace?"),
        (MIME, 7, "Must file name patterns be matched case-insensitively, and how is main.C seen as C++?"),
        (MIME, 8, "Why should applications use magic data for container formats like Ogg or AVI?"),
        (MIME, 9, "With which string does the magic file start, and does it have a version number?"),
        (MIME, 10, "How are the lines of an XMLnamespaces file sorted?"),
        (MIME, 13, "Why must cache files be written atomically to a temporary name and then moved?"),
        (MIME, 14, "Can the MIME type be stored in an extended attribute of the file?"),
        (MIME, 14, "Of which type are all text types implicitly subclasses?"),
        (MIME, 15, "How many bytes should be checked for control characters to guess whether a file is binary?"),
        (MIME, 16, "How can a mounted directory be detected with st_dev?"),
        (MIME, 16, "Which MIME type does an application use to handle a URI scheme such as mms?"),
        (MIME, 17, "Is the MIME database intended to store user preferences?"),
        (ASN1, 4, "Under which licence may the library be used, modified and redistributed?"),
        (ASN1, 5, "How do comments begin and end in ASN.1 definitions, and are C-style comments supported?"),
        (ASN1, 6, "Which ASN.1 type is not handled by this version, and are SIZE constraints checked?"),
        (ASN1, 7, "How large must the buffer for the error description be?"),
        (ASN1, 8, "What does the tool asn1Parser generate from a file with definitions?"),
        (ASN1, 10, "Which option of asn1Decoding performs a benchmark?"),
        (ASN1, 12, "Which function deletes a structure and sets it to NULL?"),
        (ASN1, 15, "In which formats must the value of a UTCTime be given?"),
        (ASN1, 24, "Since which libtasn1 version can ider and ider_len be omitted when finding the start and end?"),
        (ASN1, 28, "How many words may a Front-Cover Text and a Back-Cover Text have at most?"),
    ),
    unanswered=(
        "Who won the football world cup in 1998?",
        "How long should bread dough rise before it is baked?",
        "What is the boiling point of ethanol?",
        "Which planets have rings?",
        "How is a violin tuned?",
        "What did the emperor Augustus die of?",
        "How many calories does an avocado have?",
        "When do swallows return from Africa?",
        "What is the fare for a taxi from the airport to the city?",
        "Which medicine helps against a migraine?",
    ),
)
