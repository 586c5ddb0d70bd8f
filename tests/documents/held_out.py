"""Thirty-six held-out questions to four other documents from Debian. The search was not tuned with them.

Pages are counted as in questions.py. Anyone who changes the search because of these results has used the questions up
and must write new ones.
"""

from pathlib import Path

from tests.documents.question_set import QuestionSet

BZIP2 = "manual.pdf.gz"
FONTS = "fontconfig-user.pdf.gz"
NETTLE = "nettle.pdf.gz"
CRC = "crc-doc.1.0.pdf.gz"

HELD_OUT = QuestionSet(
    name="held out",
    packages="bzip2-doc, fontconfig, nettle-dev and zlib1g-dev",
    manuals={
        name: Path("/usr/share/doc", folder, name)
        for folder, name in (("bzip2", BZIP2), ("fontconfig", FONTS), ("nettle-dev", NETTLE), ("zlib1g-dev", CRC))
    },
    answered=(
        (BZIP2, 4, "Which algorithm and which coding does bzip2 use to compress files?"),
        (BZIP2, 6, "What is a file called after decompression when its name ends in .tbz2?"),
        (BZIP2, 7, "What does it mean when bzip2 returns 3?"),
        (BZIP2, 8, "How much memory does it take to decompress a file made with the default 900k block size?"),
        (BZIP2, 9, "How are the boundaries of blocks found in a damaged file?"),
        (BZIP2, 10, "Who turned bzip2's documentation into XML?"),
        (BZIP2, 13, "Under which programming model does the library still work on 64-bit platforms?"),
        (BZIP2, 19, "What releases all memory that belongs to a compression stream?"),
        (BZIP2, 32, "Which preprocessor symbol gives a library without stdio, and how many functions are left?"),
        (BZIP2, 34, "Why was the run-length encoder there, and is it still needed?"),
        (BZIP2, 35, "Why did the author not use autoconf?"),
        (BZIP2, 36, "What may have gone wrong when a file that came by FTP is said to be corrupted?"),
        (FONTS, 1, "Why was XML chosen for the configuration files?"),
        (FONTS, 2, "Does matching always return a font, even if none is like what was asked for?"),
        (FONTS, 3, "How must a colon or a comma in a family name be written?"),
        (FONTS, 4, "Which value of FC_DEBUG shows how much memory fontconfig uses?"),
        (FONTS, 4, "For which languages are there orthographies for each territory?"),
        (FONTS, 6, "Which element sets the interval between automatic checks for changes of the configuration?"),
        (FONTS, 7, "With what must the mantissa of a floating point number begin?"),
        (FONTS, 12, "Which font does the example use for Chinese when serif is requested?"),
        (NETTLE, 6, "What does Nettle leave to others: does it allocate memory or choose algorithms?"),
        (NETTLE, 12, "What is the difference between API and ABI compatibility?"),
        (NETTLE, 16, "Who designed Keccak?"),
        (NETTLE, 20, "Which country's government adopted SM3 as a standard, and when was it issued?"),
        (NETTLE, 31, "What happens when Blowfish encrypts with a weak key?"),
        (NETTLE, 38, "Why did Bernstein define Snuffle in that way?"),
        (NETTLE, 43, "Why is encryption in CBC mode slower than decryption?"),
        (NETTLE, 63, "Which mode protects against the accidental reuse of a nonce?"),
        (NETTLE, 76, "Which library is needed for calculations with large numbers?"),
        (NETTLE, 100, "How many characters does base64 make out of three bytes?"),
        (CRC, 3, "Who proposed cyclic redundancy checks, and in which year?"),
        (CRC, 4, "When was the special case for 64-bit tables implemented, and whose products used it?"),
        (CRC, 11, "For which two reasons is it slow to compute a CRC byte by byte?"),
        (CRC, 12, "Into which cache should the table fit, and how slow is access to it otherwise?"),
        (CRC, 22, "On which processor were the tests done?"),
        (CRC, 23, "How many interleaved data streams are best on modern processors?"),
    ),
    unanswered=(
        "Who painted the ceiling of the Sistine Chapel?",
        "How long does an elephant carry its young?",
        "What is the capital of Mongolia?",
        "How do I prune an apple tree in winter?",
        "Which river flows through Budapest?",
        "What is the recipe for a béchamel sauce?",
        "How often should a car's oil be changed?",
        "Who wrote the opera about a flute?",
        "What does a hotel in Lisbon cost in May?",
        "Which vaccine does a traveller to Kenya need?",
    ),
    near_the_subject=(  # near the subject, but not answered by the documents: the search may find something
        "Which dictionary size does xz use at level 9?",
        "How does Zstandard train a dictionary for small files?",
        "Which elliptic curve does Bitcoin use?",
        "How is a font subset embedded in a PDF?",
        "What is the polynomial of the CRC that Ethernet uses?",
    ),
)
