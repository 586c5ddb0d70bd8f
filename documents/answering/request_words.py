"""The words by which a request about whole documents is recognized, in common languages.

Regular expressions in folded form (see `documents.words.fold`), separated by " | ".
"""

import re
from typing import Final

from documents.words import fold

# Requests that need all of a document. In scripts with blanks these are whole words.
_SUMMARY: Final = r"""
    summar\w* | tl;?dr | key (?:points?|takeaways?|facts|findings|messages?)
    main (?:points?|topics?|ideas?|themes?|messages?) | overview | outline | gist | abstract | takeaways
    recap | bullet points | zusammenfass\w* | fass\w* | überblick | hauptpunkte | kernpunkte | kernaussagen
    wichtigste\w* | résum\w* | points? (?:clés?|principaux) | aperçu | synthèse | resum\w* | resúm\w*
    puntos (?:clave|principales) | riassum\w* | riassunto | sintesi | punti (?:chiave|principali)
    pontos[- ](?:chave|principais) | samenvat\w* | vat \w+ \w* ?samen | hoofdpunten | sammanfatt\w*
    opsummer\w* | oppsummer\w* | sammenfat\w* | streść | streszcz\w* | podsumuj\w* | podsumowanie | shrň\w*
    shrnutí | rezum\w* | özet\w* | ana (?:fikir|noktalar)\w* | tiivist\w* | yhteenve\w* | összefoglal\w*
    foglal\w* | ringkas\w* | rangkum\w* | tóm tắt | кратк\w* | резюм\w* | суммир\w* | обобщ\w*
    основн\w+ (?:мысл|пункт|тем|иде|положен)\w* | стисл\w* | підсум\w* | περίληψη | συνόψισ\w* | لخص | تلخيص
    ملخص | خلاصه | خلاصة | סכם | תקציר | סיכום | सारांश\w* | संक्षेप\w*
"""
_SUMMARY_UNSPACED: Final = r"""
    总结 | 總結 | 概括 | 概述 | 摘要 | 要点 | 要點 | 主要内容 | 主要內容 | 要約 | まとめ | 概要 | 要旨 | 요약 | 개요 | 핵심 | 요점 | สรุป | ใจความ
    ສະຫຼຸບ | សង្ខេប
"""
# Requests that the beginning and the end of a document usually answer.
_ABOUT: Final = r"""
    what (?:is|are) (?:this|it|these|the \w+|this \w+) about | table of contents | section headings?
    headings | who (?:wrote|is the author|made|created) | author | worum geht | wer hat \w* ?\w* ?geschrieben
    gliederung | de quoi (?:parle|traite) | qui a écrit | de qué trata | quién escribió
    di cosa (?:parla|tratta) | chi ha scritto | do que (?:trata|se trata) | waar gaat | o czym | kto napisał
    о ч[её]м | кто (?:автор|написал)\w*
"""
_ABOUT_UNSPACED: Final = r"""
    讲什么 | 讲了什么 | 作者是谁 | 谁写 | 何について | 誰が書 | 누가 썼
"""
# Requests for a short answer.
_BRIEF: Final = r"""
    tl;?dr | (?:one|two|three|a|1|2|3) (?:short )?(?:sentences?|lines?|words?) | brief\w* | short\w* | \d+ words?
    | concise\w* | kurz\w* | knapp\w* | (?:einem|zwei|drei) satz\w* | (?:ein|zwei|drei) s[aä]tze\w*
    | (?:une|deux|trois) phrases? | bri[eè]vement | (?:una|dos|tres) frases? | breve\w* | (?:una|due|tre) fras[ei]
    | (?:uma|duas|tr[eê]s) frases? | kort\w* | krótk\w* | zwięźle | stručně | кратко | коротко | вкратце | стисло
    | kısa\w* | lyhy\w* | röviden | singkat | ngắn gọn | σύντομ\w* | باختصار | בקצרה | संक्षेप\w*
"""
_BRIEF_UNSPACED: Final = r"""
    一句话 | 一句話 | 简短 | 简要 | 簡短 | 一文で | 短く | 簡潔 | 한 문장 | 짧게 | 간단히 | สั้น
"""


def _pattern(words: str, unspaced: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{_alternatives(words)})(?!\w)|{_alternatives(unspaced)}")


def _alternatives(words: str) -> str:
    return "|".join(fold(word) for word in re.split(r"\s+\|\s+|\s*\n\s*", words.strip()))


SUMMARY: Final = _pattern(_SUMMARY, _SUMMARY_UNSPACED)
ABOUT: Final = _pattern(_ABOUT, _ABOUT_UNSPACED)
BRIEF: Final = _pattern(_BRIEF, _BRIEF_UNSPACED)
