"""Recognizes what a message asks of the documents beyond a look-up: all of them, or pages of them.

Both are recognized by words of common languages. A request in another language that matches no chunk is treated as one
about the whole document anyway, so these words matter only where some chunk happens to match.
"""

import re
from typing import Final

from documents.text import keywords
from documents.words import fold

_MAX_PAGES: Final = 50  # of one request
_MAX_CHARS: Final = 2_000  # of a message that is read for page numbers: a longer one contains pasted text
_RANGE: Final = r"(\d{1,5})(?:\s*(?:[-‐-―~]|to|bis|a|al|до|and|und|et|y|e|и|,)\s*(\d{1,5}))?"
_PAGE_WORDS: Final = (
    "pages?|pp?\\.|pgs?\\.?|seiten?|s\\.|paginas?|pags?\\.?|pagine|strony|strona|stronie|strone|str\\.?|stran[auey]|straně"
    "|страниц[аыеу]|стр\\.?|сторінк[аиу]|sayfa|sivu(?:lla|n|t)?|sidan?|sider?|siden|trang|halaman|hal\\.|oldal(?:on)?"
    "|σελιδα|σελ\\.?|صفحه|الصفحه|عمود|עמוד|पृष्ठ|पेज|หนา|หน้า|ໜ້າ|ទំព័រ"
)
_PAGE: Final = re.compile(
    "|".join(
        [
            rf"(?<![^\W\d_])(?:{'|'.join(fold(word) for word in _PAGE_WORDS.split('|'))})\s*(?:no\.?|nr\.?|n[o°]|number|#)?\s*:?\s*{_RANGE}(?!\d)",
            r"(?:第\s*)?(\d{1,5})\s*(?:[-‐-―~]\s*(\d{1,5})\s*)?(?:页|頁|ページ|페이지|쪽)",
            r"(\d{1,5})\s*(?:\.|st|nd|rd|th|a|º|ª)\s*(?:page|seite|sayfa|oldal|strona|stranka|pagina)(?!\w)",
            r"(\d{1,5})\s*-?\s*(?:я|й|и|ю)?\s*(?:страниц|сторінк)",
        ]
    )
)
# Words of requests about a whole document, by beginnings in folded form.
_WHOLE: Final = re.compile(
    r"(?<!\w)(?:"
    + "|".join(
        fold(word)
        for word in [
            "summar\\w*",
            "tl;?dr",
            "key (?:points?",
            "takeaways?",
            "facts",
            "findings",
            "messages?)",
            "main (?:points?",
            "topics?",
            "ideas?",
            "themes?",
            "messages?)",
            "overview",
            "outline",
            "gist",
            "abstract",
            "takeaways",
            "what (?:is",
            "are) (?:this",
            "it",
            "these",
            "the \\w+",
            "this \\w+) about",
            "table of contents",
            "section headings?",
            "headings",
            "who (?:wrote",
            "is the author",
            "made",
            "created)",
            "author",
            "recap",
            "bullet points",
            "zusammenfass\\w*",
            "fass\\w*",
            "überblick",
            "hauptpunkte",
            "kernpunkte",
            "kernaussagen",
            "wichtigste\\w*",
            "worum geht",
            "wer hat \\w* ?\\w* ?geschrieben",
            "gliederung",
            "résum\\w*",
            "points? (?:clés?",
            "principaux)",
            "de quoi (?:parle",
            "traite)",
            "aperçu",
            "synthèse",
            "qui a écrit",
            "resum\\w*",
            "resúm\\w*",
            "puntos (?:clave",
            "principales)",
            "de qué trata",
            "quién escribió",
            "riassum\\w*",
            "riassunto",
            "sintesi",
            "punti (?:chiave",
            "principali)",
            "di cosa (?:parla",
            "tratta)",
            "chi ha scritto",
            "pontos[- ](?:chave",
            "principais)",
            "do que (?:trata",
            "se trata)",
            "samenvat\\w*",
            "vat \\w+ \\w* ?samen",
            "hoofdpunten",
            "waar gaat",
            "sammanfatt\\w*",
            "opsummer\\w*",
            "oppsummer\\w*",
            "sammenfat\\w*",
            "streść",
            "streszcz\\w*",
            "podsumuj\\w*",
            "podsumowanie",
            "o czym",
            "kto napisał",
            "shrň\\w*",
            "shrnutí",
            "rezum\\w*",
            "özet\\w*",
            "ana (?:fikir",
            "noktalar)\\w*",
            "tiivist\\w*",
            "yhteenve\\w*",
            "összefoglal\\w*",
            "foglal\\w*",
            "ringkas\\w*",
            "rangkum\\w*",
            "tóm tắt",
            "кратк\\w*",
            "резюм\\w*",
            "суммир\\w*",
            "обобщ\\w*",
            "о ч[её]м",
            "основн\\w+ (?:мысл",
            "пункт",
            "тем",
            "иде",
            "положен)\\w*",
            "кто (?:автор",
            "написал)\\w*",
            "стисл\\w*",
            "підсум\\w*",
            "περίληψη",
            "συνόψισ\\w*",
            "لخص",
            "تلخيص",
            "ملخص",
            "خلاصه",
            "خلاصة",
            "סכם",
            "תקציר",
            "סיכום",
            "सारांश\\w*",
            "संक्षेप\\w*",
        ]
    )
    + r")(?!\w)|总结|總結|概括|概述|摘要|要点|要點|主要内容|主要內容|讲什么|讲了什么|作者是谁|谁写|要約|まとめ|概要|要旨|何について|誰が書|요약|개요|핵심|요점|누가 썼|สรุป|ใจความ|ສະຫຼຸບ|សង្ខេប"
)
_DOCUMENT_WORDS: Final = re.compile(
    r"(?<!\w)(?:documents?|files?|pdfs?|texts?|papers?|articles?|reports?|attachments?|uploads?|pages?|contents?|whole|entire|full|brief\w*|short\w*|please|give|list|make|write|wrote|tell"
    r"|show|create|sentences?|one|two|three|four|five|ten|can|could|words?|bullets?|lines?|paragraphs?|main|key|points?|topics?|dokument\w*|datei\w*|text\w*|bitte|kurz\w*|zusammen|in|drei|funf|hay|tai lieu|cuoc|nay|ini|satz\w*|satze\w*|inhalt\w*"
    r"|documento\w*|archivo\w*|fichier\w*|texte\w*|texto\w*|testo|file|arquivo\w*|bestand\w*|dokumen\w*|belge\w*|dosya\w*|asiakirj\w*|документ\w*|файл\w*|текст\w*"
    r"|пожалуиста|εγγραφο\w*|αρχειο\w*|مستند\w*|المستند|الملف|وثيقه|הקובץ|המסמך|मसौद\w*|दस्तावेज\w*|इस|का|की|दें|दो|करें|कीजिए|फाइल)(?!\w)|文档|文件|文書|文章|資料|資料|この|这个|这份|这篇|請|请|문서|파일|글|[ぁ-ん]+|주세요|해줘|해|좀|이|을|를|เอกสาร|ไฟล|นี|ข้อความ|\d+"
)


def asks_for_whole_document(message: str) -> bool:
    """Whether the message asks for a summary or the like, and names no other subject ("Summarize the leave policy")."""
    if len(message) > _MAX_CHARS:
        return False
    folded = fold(message)
    if _WHOLE.search(folded) is None:
        return False
    return not keywords(_DOCUMENT_WORDS.sub(" ", _WHOLE.sub(" ", folded)))


def requested_pages(message: str) -> tuple[int, ...]:
    """The page numbers that the message names, in order: "page 3", "Seiten 2-4", "第3页"."""
    pages = dict[int, None]()
    if len(message) > _MAX_CHARS:
        return ()
    for match in _PAGE.finditer(fold(message)):
        numbers = [int(group) for group in match.groups() if group]
        pages |= dict.fromkeys(range(numbers[0], max(numbers) + 1))
        if len(pages) > _MAX_PAGES:
            break
    return tuple(page for page in pages if page)[:_MAX_PAGES]
